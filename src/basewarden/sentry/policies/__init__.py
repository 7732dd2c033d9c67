"""What a policy lets through, judged on its parse tree."""
