"""The staff console: pages for people who review, correct, take over and administer."""
