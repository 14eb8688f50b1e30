"""What the two test commands do: make jobs, watch them, and judge the recorded times."""
