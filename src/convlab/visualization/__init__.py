"""Pictures of what is inside a run's network, and a record of what they show."""
