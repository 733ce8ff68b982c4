"""What is wrong with a prompt, as its model's card and its tool's grammar see it."""
