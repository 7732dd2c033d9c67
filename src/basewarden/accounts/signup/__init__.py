"""From signing up straight in: the browser that signed up, and the link that confirms the address and signs it in."""
