"""What `make up` needs on one machine: embedded servers and a supervisor. Nothing else imports it."""
