"""The contact form: messages to the operators of the deployment."""

from basewarden.contact.service import Contact, ContactLimits, ContactMessage, ContactTopic

__all__ = ["Contact", "ContactLimits", "ContactMessage", "ContactTopic"]
