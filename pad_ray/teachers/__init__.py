"""Teachers: engines that write programs for problems, behind one protocol.

Those that need torch (`student`) or `ray.data.llm` (`vllm`) are not imported here: loading them
takes longer than a small run.
"""

from pad_ray.teachers.base import PaidTeacher, Request, Schedule, Teacher
from pad_ray.teachers.endpoint import EndpointSettings, EndpointTeacher
from pad_ray.teachers.rationale import RationaleTeacher
from pad_ray.teachers.recorded import RecordedTeacher
from pad_ray.teachers.scripted import ScriptedTeacher
from pad_ray.teachers.student_settings import StudentTeacherSettings

__all__ = [
    "EndpointSettings",
    "EndpointTeacher",
    "PaidTeacher",
    "RationaleTeacher",
    "RecordedTeacher",
    "Request",
    "Schedule",
    "ScriptedTeacher",
    "StudentTeacherSettings",
    "Teacher",
]
