"""The JSON that the server answers with."""

from pydantic import BaseModel, ConfigDict, Field


class ClassProbability(BaseModel):
    class_name: str = Field(serialization_alias="class")
    probability: float = Field(ge=0, le=1)


class Prediction(BaseModel):
    """The most probable classes of one image, the most probable first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": "champion",
                "classes": [
                    {"class": "roses", "probability": 0.957},
                    {"class": "tulips", "probability": 0.031},
                ],
                "unsure": None,
            }
        }
    )

    model: str
    classes: list[ClassProbability]
    unsure: str | None = Field(description="why the answer should not be relied on; null: no reason known")


class ExplainedPicture(BaseModel):
    title: str
    caption: str
    image: str = Field(description="a PNG file as a data: address")


class Explanation(BaseModel):
    """What the network saw in one image."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "class": "roses",
                "probability": 0.957,
                "pictures": [
                    {
                        "title": "Grad-CAM",
                        "caption": "Warm: where the maps of backbone.Mixed_7c raised the score of roses.",
                        "image": "data:image/png;base64,iVBORw0KGgo...",
                    }
                ],
            }
        },
    )

    class_name: str = Field(serialization_alias="class")
    probability: float
    pictures: list[ExplainedPicture]


class Measured(BaseModel):
    """What evaluation found on the test images: accuracy, and its 95 % interval."""

    num_images: int
    acc: float
    acc_low: float
    acc_high: float


class Version(BaseModel):
    """Which code and which model answer. Null: not known of this model. Hashes are sha256."""

    convlab: str
    model: str
    run: str | None
    data: str | None
    data_hash: str | None
    weights_hash: str | None
    num_classes: int
    test: Measured | None


class Status(BaseModel):
    status: str


class Error(BaseModel):
    """What was wrong, in words."""

    model_config = ConfigDict(json_schema_extra={"example": {"detail": "the body is empty: ..."}})

    detail: str
