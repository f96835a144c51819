// Writes what is made for the installation: the schema of the chart's values, and the plain manifests.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plainManifests } from '../chart/manifests.ts';
import { CHART } from '../chart/render.ts';
import { valuesSchema } from '../chart/values-schema.ts';

writeFileSync(join(CHART, 'values.schema.json'), valuesSchema());
writeFileSync(join(CHART, '..', '..', 'manifests', 'install.yaml'), plainManifests());
