"""What a container of Laurel runs beside its services: the topics' job, the health probe."""
