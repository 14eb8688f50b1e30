"""What Celery projects use beside Celery; each module has tasks and programs of one library."""
