"""Connections to one PostgreSQL: libpq under asyncio, bounded against hostile servers, and the pool that lends them."""
