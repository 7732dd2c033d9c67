"""What is made next is open to strangers."""
