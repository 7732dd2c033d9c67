"""The members of a connection: their roles, removing and leaving, transferring the ownership."""
