"""All orchestration: what is asked of a memory is checked, ordered and carried out here."""
