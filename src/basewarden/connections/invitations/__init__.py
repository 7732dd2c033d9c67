"""Invitations to a connection: sent by its owner to an email address, accepted by the account that has it."""
