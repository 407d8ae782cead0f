// SageMaker's `train` in the image of script mode: runs the program that the job brings.
import { runEntryPoint } from '../../../training/container';
import { runProgram } from '../program';
import { scriptOf } from '../script';

runEntryPoint(() => runProgram(scriptOf()));
