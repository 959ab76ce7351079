"""Why no message is lost and none answered twice."""
