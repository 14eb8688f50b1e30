"""Tasks of `django.tasks` on this project's backend, with settings and a database of their own."""
