"""Teachers: engines that write programs for problems, behind one protocol."""

from pad_ray.teachers.base import Request, Teacher
from pad_ray.teachers.endpoint import EndpointSettings, EndpointTeacher
from pad_ray.teachers.rationale import RationaleTeacher
from pad_ray.teachers.recorded import RecordedTeacher
from pad_ray.teachers.scripted import ScriptedTeacher
from pad_ray.teachers.student import StudentTeacher, StudentTeacherSettings

__all__ = [
    "EndpointSettings",
    "EndpointTeacher",
    "RationaleTeacher",
    "RecordedTeacher",
    "Request",
    "ScriptedTeacher",
    "StudentTeacher",
    "StudentTeacherSettings",
    "Teacher",
]
