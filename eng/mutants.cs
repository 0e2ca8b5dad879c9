// Shows that the tests can fail: plants a bug in the simulator, one after the other, and runs the tests that should find it.
//   dotnet run eng/mutants.cs [NAME...]     those whose name contains one of the words; all if there is none
// Works on a clone of what is committed, in artifacts/mutants. Takes one to two minutes a bug.
using System.Diagnostics;
using System.Text.RegularExpressions;

Mutant[] mutants =
[
    new("flush covers writes under way", "Abuse.Core/Simulation/Disk/DiskQueue.cs",
        "operation.LastWrite = _disk.LastWrite;\n            NoteUnanswered(operation);", "operation.LastWrite = ulong.MaxValue;", "LiveDiskTests"),
    new("flush covers writes that were done and not answered", "Abuse.Core/Simulation/Disk/DiskQueue.cs",
        "if (other is { IsDone: true, Write: not 0 })", "if (other is { IsDone: true, Write: not 0, Number: < 0 })", "LiveDiskTests"),
    new("FUA is a flush of everything", "Abuse.Core/Simulation/Disk/SimulatedDisk.Content.cs",
        "Store(bio.Offset, data, bio.Fua);", "Store(bio.Offset, data, bio.Fua);\n                if (bio.Fua)\n                {\n                    _unflushed?.FlushAll();\n                }",
        "PowerLossTests|LiveDiskTests"),
    new("a crash takes nothing back", "Abuse.Core/Simulation/Disk/UnflushedWrites.Revert.cs",
        "for (int i = Count; i-- > 0;)\n        {\n            ref Entry entry = ref At(i);\n            int sectors", "for (int i = 0; i-- > 0;)\n        {\n            ref Entry entry = ref At(i);\n            int sectors",
        "PowerLossTests|LiveDiskTests"),
    new("tears are prefixes", "Abuse.Core/Simulation/Disk/UndoneWrites.cs",
        "if (left > 0)\n                {", "if (left <= 0)\n                {\n                    break;\n                }\n                else\n                {", "LiveDiskTests"),
    new("a reset completes twice", "Abuse.Core/Simulation/Disk/DiskQueue.Ending.cs",
        "operation.IsOver = true;", "operation.IsOver = result != BioResult.Canceled;", "FaultTimeTests|LiveDiskTests|SimulationInvariantTests"),
    new("the seed of a crash is used again", "Abuse.Core/Simulation/Disk/PowerLoss.cs",
        "(uint)versions + 1, _seed, (ulong)unit)", "(uint)versions + 1, _seed & 1, (ulong)unit)", "PowerLossTests|LiveDiskTests"),
    new("what was not done is never left by a crash", "Abuse.Core/Simulation/Disk/SimulatedDisk.Power.cs",
        "UndoneWrites? undone = _queue?.FindUndone(Geometry.AtomicUnit, _content);", "UndoneWrites? undone = _hasFailed ? _queue?.FindUndone(Geometry.AtomicUnit, _content) : null;", "LiveDiskTests"),
    new("a rule shifts those behind it", "Abuse.Core/Simulation/Faults/FaultEngine.cs",
        "SeededHash.OfText(text)), twin)", "SeededHash.OfText(text)), twin + (ulong)i)", "FaultPlanTests"),
    new("a failed write is answered before it may land", "Abuse.Core/Simulation/Disk/SimulatedDisk.Faults.cs",
        "_queue!.Repeat(bio, data, firing.Rule.Duration, _faults!.Note(firing, bio, at));\n                return firing.Rule.Result;", "_queue!.Repeat(bio, data, firing.Rule.Duration, _faults!.Note(firing, bio, at));\n                return BioResult.Ok;", "FaultTimeTests|LiveDiskTests"),
    new("a discard is durable at once", "Abuse.Core/Simulation/Disk/SimulatedDisk.Content.cs",
        "Clear(bio.Offset, bio.Length, bio.Fua);", "Clear(bio.Offset, bio.Length, fua: true);", "PowerLossTests|LiveDiskTests"),
    new("bios complete from other threads than the loop's", "Abuse.Core/Device/AwaitableSubmission.cs",
        "_core.RunContinuationsAsynchronously = false;", "_core.RunContinuationsAsynchronously = true;", "BlockSimulationTests"),
];

string root = Environment.CurrentDirectory;
string work = Path.Combine(root, "artifacts", "mutants");
if (!File.Exists(Path.Combine(root, "Abuse.Core.sln")))
{
    Console.Error.WriteLine("Run it from the directory of Abuse.Core.sln.");
    return 2;
}

if (Directory.Exists(work))
{
    Directory.Delete(work, recursive: true);
}

await RunAsync(root, "git", "clone", "-q", root, work);
(int built, string how) = await RunAsync(work, "dotnet", "build", "Abuse.Core.Tests", "-v", "q", "-nologo");
if (built != 0)
{
    Console.Error.WriteLine($"What is committed does not build:\n{how}");
    return 1;
}

int escaped = 0;
foreach (Mutant mutant in mutants.Where(one => args.Length == 0 || args.Any(word => one.Name.Contains(word, StringComparison.OrdinalIgnoreCase))))
{
    string path = Path.Combine(work, mutant.File);
    string before = await File.ReadAllTextAsync(path);
    if (before.Split(mutant.From).Length != 2)
    {
        Console.WriteLine($"{mutant.Name}: {mutant.File} has changed, and the place for the bug is not there once. Mend the list in eng/mutants.cs.");
        escaped++;
        continue;
    }

    await File.WriteAllTextAsync(path, before.Replace(mutant.From, mutant.To, StringComparison.Ordinal));
    (int status, string output) = await RunAsync(work, "dotnet", "build", "Abuse.Core.Tests", "-v", "q", "-nologo");
    if (status != 0)
    {
        Console.WriteLine($"{mutant.Name}: does not build.\n{output}");
        escaped++;
    }
    else
    {
        string filter = string.Join('|', mutant.Tests.Split('|').Select(static test => $"FullyQualifiedName~{test}"));
        (status, output) = await RunAsync(work, "timeout", "300", "dotnet", "test", "Abuse.Core.Tests", "--no-build", "--filter", filter);
        string[] failed = [.. Regex.Matches(output, @"^  Failed (.+?) \[", RegexOptions.Multiline).Select(static match => match.Groups[1].Value)];
        bool isCaught = status != 0 && (failed.Length != 0 || status == 124);
        escaped += isCaught ? 0 : 1;
        Console.WriteLine($"{mutant.Name}: {(isCaught ? $"caught by {(failed.Length == 0 ? "a run that did not end" : string.Join(", ", failed.Take(3)))}{(failed.Length > 3 ? $" and {failed.Length - 3} more" : "")}" : "ESCAPED")}");
    }

    await File.WriteAllTextAsync(path, before);
}

return escaped == 0 ? 0 : 1;

static async Task<(int Status, string Output)> RunAsync(string directory, string program, params string[] arguments)
{
    using Process process = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true })!;
    Task<string> errors = process.StandardError.ReadToEndAsync();
    string output = await process.StandardOutput.ReadToEndAsync();
    await process.WaitForExitAsync();
    return (process.ExitCode, output + await errors);
}

/// <summary>A bug.</summary>
/// <param name="Name">What it does.</param>
/// <param name="File">Where.</param>
/// <param name="From">The text that it replaces, which is there once.</param>
/// <param name="To">What replaces it.</param>
/// <param name="Tests">Which fixtures should find it.</param>
internal sealed record Mutant(string Name, string File, string From, string To, string Tests);
