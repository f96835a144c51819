// Writes the pages of docs/ that are made from code.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metricsPage } from '../docs/metrics-page.js';
import { settingsPage } from '../docs/settings-page.js';
const DOCS = join(import.meta.dirname, '..', '..', 'docs');
writeFileSync(join(DOCS, 'settings.md'), settingsPage());
writeFileSync(join(DOCS, 'metrics.md'), await metricsPage());
