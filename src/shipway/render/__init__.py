"""Plans -> files for engines that people already have."""
