"""The records of builds, which outlive the daemon: what was asked for, what each step did, what was told."""
