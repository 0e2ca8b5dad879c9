using Abuse.Benchmarks;
using BenchmarkDotNet.Running;

if (args is ["pairs"])
{
    await Pairs.RunAsync();
    return;
}

if (args is ["crash"])
{
    await Pairs.RunCrashAsync();
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
