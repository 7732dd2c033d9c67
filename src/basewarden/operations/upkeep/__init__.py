"""What backup, restore and the doctor ask of our database: its catalog, whole tables, and facts about them."""
