"""Stand-ins and services that tests share."""
