"""The leak scan: finds keys and passwords in a text or a site that everyone can read. It keeps none of them."""
