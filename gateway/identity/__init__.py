"""Who somebody is, and what was handed out to them. Knows neither HTTP nor SQL."""
