"""Training: losses, schedules, the loop, distributed set-up, checkpoints."""
