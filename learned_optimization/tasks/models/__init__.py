"""Network architectures of the fixed tasks, one file each."""
