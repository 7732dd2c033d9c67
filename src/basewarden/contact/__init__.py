"""Writing to whoever runs this deployment."""

from basewarden.contact.service import Contact, ContactLimits, ContactMessage, ContactTopic

__all__ = ["Contact", "ContactLimits", "ContactMessage", "ContactTopic"]
