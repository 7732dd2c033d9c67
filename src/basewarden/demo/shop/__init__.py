"""The demo project: the database of a small shop, as in a Supabase project."""

from basewarden.demo.shop.digest import digest_tables
from basewarden.demo.shop.load import ShopAccess, create_shop
from basewarden.demo.shop.support import INJECTION_SUBJECT

__all__ = ["INJECTION_SUBJECT", "ShopAccess", "create_shop", "digest_tables"]
