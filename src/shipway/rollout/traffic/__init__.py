"""Who gets which revision on one machine: HAProxy in front, or without it an embedded router."""
