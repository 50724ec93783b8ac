"""The Pathfinder task: its images and labels."""
