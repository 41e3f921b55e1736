// The server's messages, by their names there.
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Answer = Schemas["Answer"];
export type ReadDigit = Schemas["ReadDigit"];
export type StudioState = Schemas["StudioState"];
export type ModelEntry = Schemas["ModelEntry"];
export type NetworkView = Schemas["NetworkView"];
export type LayerEntry = Schemas["LayerEntry"];
export type UnitView = Schemas["UnitView"];
export type TrainingChoices = Schemas["TrainingChoices"];
export type RecipeEntry = Schemas["RecipeEntry"];
export type TrainingRequest = Schemas["TrainingRequest"];
export type RunEntry = Schemas["RunEntry"];
export type RunView = Schemas["RunView"];
export type RunName = Schemas["RunName"];
export type LiveUpdate = Schemas["LiveUpdate"];
export type LiveExamples = Schemas["LiveExamples"];
export type DatasetEntry = Schemas["DatasetEntry"];
export type DatasetView = Schemas["DatasetView"];
export type ImagePage = Schemas["ImagePage"];
export type DuplicatesView = Schemas["DuplicatesView"];
export type EvaluationView = Schemas["EvaluationView"];
export type MistakePage = Schemas["MistakePage"];
export type UploadTicket = Schemas["UploadTicket"];
export type UploadProgress = Schemas["UploadProgress"];
export type UploadResult = Schemas["UploadResult"];
