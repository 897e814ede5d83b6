"""Plates and vehicles: what a plate says, pseudonyms, passages, visits, who is inside."""
