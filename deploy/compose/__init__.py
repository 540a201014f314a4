"""What docker-compose.yml mounts, and the secrets it reads."""
