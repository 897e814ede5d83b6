"""Who answers for which place, and is on duty and reachable."""
