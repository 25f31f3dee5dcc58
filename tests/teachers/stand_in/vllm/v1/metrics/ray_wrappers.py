class RayPrometheusStatLogger:
    pass
