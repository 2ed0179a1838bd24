"""The audit log: who did what and who was refused, in a chain of lines that cannot be changed unnoticed."""
