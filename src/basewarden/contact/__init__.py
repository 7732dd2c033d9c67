"""The contact form: messages to the operators of the deployment."""
