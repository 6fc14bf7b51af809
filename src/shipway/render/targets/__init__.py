"""What stacks may ask for, and how each target has it: expressions, asked, the table, judging, its page."""
