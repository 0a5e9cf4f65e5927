const { spawnSync } = require('child_process')
const script = require('path').join(__dirname, 'cache.py')
process.exit(spawnSync(process.env.LOCAL_GITHUB_PYTHON, ['-I', script, 'restore'], { stdio: 'inherit' }).status)
