"""From records on disk to leaderboards; neither torch nor any plugin is imported here."""
