"""What runs inside a worker process: admission, fetching, the engine's connections, liveness, the leader child."""
