using Abuse.Benchmarks;
using BenchmarkDotNet.Running;

if (args is ["pairs", .. var only])
{
    await Pairs.RunAsync(only.FirstOrDefault());
    return;
}

if (args is ["crash"])
{
    await Pairs.RunCrashAsync();
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
