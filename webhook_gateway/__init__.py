"""Takes the deliveries of Procore and Part3, and answers 2xx only once Kafka has them."""
