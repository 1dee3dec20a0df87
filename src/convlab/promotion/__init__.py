"""From a measured run to a champion: what it must show, what it leaves behind, which one it is."""
