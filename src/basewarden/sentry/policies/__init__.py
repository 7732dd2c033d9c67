"""Which rows a policy allows, judged on its parse tree."""
