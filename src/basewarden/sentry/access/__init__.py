"""What the catalog says about who may reach one object: read, compared, and put back as it was."""
