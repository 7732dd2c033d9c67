"""Writing to whoever runs this deployment."""

from basewarden.contact.service import Contact, ContactLimits, Message, Topic

__all__ = ["Contact", "ContactLimits", "Message", "Topic"]
